FROM debian
ENV a=$b c=${d} e=${f:-g}h i=j
ENV k="${l:-m n}" o='$p' q=\$r
