ENV a=b
FROM a
