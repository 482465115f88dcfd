FROM a
CMD  ["a"]
CMD [ "a"]
RUN ["a"] 
