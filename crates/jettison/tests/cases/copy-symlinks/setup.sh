mkdir -p dir/real; echo text > dir/real/f; ln -s real/f dir/link; ln -s real dir/folderlink; ln -s /absolute dir/dangling; ln -s dir/link toplink
