FROM a
RUN <<ÉND
körper
ÉND
COPY <<名 /x
中
名
