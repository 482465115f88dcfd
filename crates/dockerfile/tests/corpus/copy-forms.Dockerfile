FROM debian
COPY a b
COPY a b c/
COPY ["a b", "c", "d e/"]
COPY a* b?c [d]
COPY "a b" c
COPY . .
