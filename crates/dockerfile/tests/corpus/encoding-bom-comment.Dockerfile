# c
FROM a
