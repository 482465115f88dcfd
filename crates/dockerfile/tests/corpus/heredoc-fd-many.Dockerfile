FROM a
RUN x 3<<A 4<<-B 10<<'C'
a
A
	b
	B
c
C
