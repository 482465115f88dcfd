mkdir -p ../server/dir; echo plain > ../server/plain.txt; echo dated > ../server/dir/dated.txt
echo 'Last-Modified: Sat, 03 Feb 2001 04:05:06 GMT' > ../server/dir/dated.txt.headers
