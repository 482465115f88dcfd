// syntax=x
FROM a
