FROM a
CMD true
CMD null
CMD 1
CMD "a"
CMD {"a": 1}
