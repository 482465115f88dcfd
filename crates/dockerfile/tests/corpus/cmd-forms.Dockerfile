FROM debian
CMD
CMD a b
CMD ["a", "b c"]
CMD []
CMD [ "a" ,"b" ]
CMD ["a",
