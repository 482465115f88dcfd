FROM debian
USER a:b
USER 0
USER a b
WORKDIR /a b
WORKDIR $C/"d e"
WORKDIR rel
