FROM a
EXPOSE "80" '443'/tcp 1-2
VOLUME "/a b" '/c'
