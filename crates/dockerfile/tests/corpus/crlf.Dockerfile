FROM debian
RUN echo a \
    b
ENV c=d
CMD ["e"]
