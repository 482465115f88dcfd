FROM a
ENV é=ẍ
COPY résumé /
