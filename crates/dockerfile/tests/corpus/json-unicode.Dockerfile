FROM debian
CMD ["héllo", "日本語"]
RUN echo héllo 日本語
ENV é=ü
LABEL 日="本 語"
