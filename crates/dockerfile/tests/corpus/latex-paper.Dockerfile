FROM texlive/texlive:latest-full
RUN tlmgr update --self && tlmgr install biblatex biber
WORKDIR /paper
COPY *.tex *.bib figures/ ./
RUN latexmk -pdf -interaction=nonstopmode -output-directory=/out paper.tex || (cat /out/paper.log && false)
CMD ["sh", "-c", "cp /out/paper.pdf /mnt/"]
