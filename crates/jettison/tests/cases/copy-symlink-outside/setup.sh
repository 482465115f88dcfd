mkdir -p etc d; echo mine > etc/passwd; ln -s /etc/passwd link; ln -s ../../../d up; echo in > d/f
