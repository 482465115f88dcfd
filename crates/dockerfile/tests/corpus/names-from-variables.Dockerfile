ARG A=b
FROM ${A:-c d}
