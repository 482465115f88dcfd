FROM a   
RUN x 	 
CMD ["a"]  	
ENV a=b   
