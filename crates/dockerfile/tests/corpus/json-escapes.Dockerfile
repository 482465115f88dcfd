FROM debian
CMD ["a\tb", "\u00e9", "\"q\"", "c:\\d", "e\/f", "\ud83d\ude00"]
CMD ["a\x"]
