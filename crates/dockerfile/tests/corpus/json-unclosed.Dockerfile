FROM a
CMD ["a"
CMD ["a
CMD [
CMD "a"]
