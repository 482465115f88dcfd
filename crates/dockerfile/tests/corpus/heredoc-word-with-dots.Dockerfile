FROM a
COPY <<etc.conf.d/x.conf /etc/
a
etc.conf.d/x.conf
