FROM debian
COPY <<a /b
x $y
a
COPY <<-"c" <<d e /f/
	g
	c
h
d
COPY --chmod=755 <<i.sh j/
#!/bin/sh
i.sh
