FROM debian
MAINTAINER A B <c@example.com>
maintainer  "d"
