FROM a
CMD ["\ud83d\ude00", "\ud83d", "\udc00\ud83d", "\u0000", "\uFFFF"]
