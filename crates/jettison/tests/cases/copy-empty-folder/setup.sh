mkdir empty; : > none
