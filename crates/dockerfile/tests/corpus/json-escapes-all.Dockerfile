FROM a
CMD ["\"\\\/\b\f\n\r\t\u00e9"]
