FROM a
CMD ["C:\dir", "\x41"]
RUN ["a\
b"]
