FROM a
CMD ["a"] # why
CMD ["a"] && x
VOLUME ["a"] b
