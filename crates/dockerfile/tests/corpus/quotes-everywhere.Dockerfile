FROM "debian"
USER "a"
WORKDIR '/b'
EXPOSE "80" '90'
STOPSIGNAL "9"
RUN "a b" 'c d' "e
