FROM a
RUN <<EOF


  
	
EOF
RUN x
