FROM a
CMD ["", ""]
ENTRYPOINT [""]
COPY ["", ""]
