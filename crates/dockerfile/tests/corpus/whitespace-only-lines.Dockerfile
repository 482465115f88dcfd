FROM a
   
	
 	 
RUN x
