   FROM debian
	 RUN x
  # comment
 	
  CMD y
