FROM    debian    AS    x
EXPOSE   80    443  
COPY   a    b   
RUN   a   b   
