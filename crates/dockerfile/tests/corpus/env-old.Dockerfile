FROM debian
ENV a b
ENV c  d e  f
ENV g "h i"
ENV j k=l
ENV m 'n
