FROM a
COPY ["a b", "c d", "/e f/"]
ADD ["a", "b"]
ADD [a, b]
