FROM a
MAINTAINER A B <c@d>
Maintainer "x"
