FROM php:8.2-apache
COPY <<EOF /etc/apache2/sites-available/000-default.conf
<VirtualHost *:80>
    DocumentRoot /var/www/html/public
    <Directory /var/www/html/public>
        AllowOverride All
        Require all granted
    </Directory>
    ErrorLog \${APACHE_LOG_DIR}/error.log
</VirtualHost>
EOF
RUN a2enmod rewrite headers && a2dissite default-ssl || :
COPY public /var/www/html/public
