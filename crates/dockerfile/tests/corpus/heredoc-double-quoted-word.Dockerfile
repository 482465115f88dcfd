FROM a
COPY <<"my file" /d/
$HOME
my file
RUN y
