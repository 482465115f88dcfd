FROM debian
ENV a=1 b="two words" c='three more words' d=e\ f g="h\"i" j='k"l'
ENV m= n="" o=''
ENV p=q=r s==
