for n in 'name with spaces' '-dash' 'grün' '日本語' "quo'te" 'dou"ble' '.dot' '#hash' 'per%cent' 'dol$lar' 'semi;colon' 'star*' 'nl?'; do echo "$n" > "./$n"; done
