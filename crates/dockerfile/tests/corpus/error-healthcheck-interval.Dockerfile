FROM a
HEALTHCHECK --interval=soon CMD x
