FROM debian
VOLUME /a /b  /c
VOLUME ["/d e", "/f"]
