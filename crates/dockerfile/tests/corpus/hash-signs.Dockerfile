FROM debian
RUN a # b
ENV c=#d
LABEL e="# f"
COPY #a b
EXPOSE 80 #http
