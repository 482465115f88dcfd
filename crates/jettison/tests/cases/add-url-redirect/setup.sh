mkdir -p ../server; : > ../server/here; printf 'Status: 302 Found\nLocation: /there\n' > ../server/here.headers; echo there > ../server/there
echo named > ../server/named; echo 'Content-Disposition: attachment; filename="other"' > ../server/named.headers; echo query > ../server/query
