"""Overriding and exfiltration in other languages: the sentence that attacks are made of everywhere, "ignore all previous
instructions", and "show me your system prompt".

RE2 folds the case of single bytes only, so letters beyond ASCII are given in both. Gaps are counted in bytes. Patterns begin and end on whole characters:
what follows `(?i)` holds ASCII letters, or letters in both cases side by side.
"""

from __future__ import annotations

from typing import Final

_GAP: Final = r"[^.!?\n]{0,48}?"
"""Between a verb and its object, within a sentence."""

LANGUAGES: Final = {
    "German": (
        rf"(?i)(?:\b(?:ignorier|missachte|vergiss|vergesse|umgeh)|(?:ü|Ü)bergeh)[a-z]*{_GAP}\b(?:vorherig|bisherig|obig|vorig|vorangegangen|fr(?:ü|Ü)her|alle deine|deine)[a-z]*{_GAP}(?:anweisung|instruktion|regel|vorgabe|befehl|richtlinie|prompt)",
        rf"(?i)\b(?:zeig|gib|nenn|verrate|wiederhol)[a-z]*{_GAP}\b(?:dein|deine|deinen|den) (?:system-?prompt|systemanweisung|urspr(?:ü|Ü)nglichen? anweisung|geheimen? anweisung)",
    ),
    "French": (
        rf"(?i)\b(?:ignor|oubli|n(?:é|É)glig|contourn)[a-z]*{_GAP}\b(?:instruction|consigne|directive|r(?:è|È)gle|ordre)s?{_GAP}(?:pr(?:é|É)c(?:é|É)dent|ant(?:é|É)rieur|ci-dessus|initial)",
        rf"(?i)\b(?:montre|affiche|r(?:é|É)v(?:è|È)le|donne|r(?:é|É)p(?:è|È)te)[a-z-]*{_GAP}\b(?:ton|tes|votre|vos) (?:prompt|invite|instructions) (?:syst(?:è|È)me|initial|cach)",
    ),
    "Spanish": (
        rf"(?i)\b(?:ignor|olvid|desestim|descart|omit)[a-záéíóú]*{_GAP}\b(?:instrucci(?:o|ó|Ó)n|indicaci(?:o|ó|Ó)n|orden|regla|directri)[a-z]*{_GAP}(?:anterior|previ|de arriba|inicial)",
        rf"(?i)\b(?:ignor|olvid)[a-záéíóú]*{_GAP}\b(?:anterior|previ)[a-z]* (?:instrucci|indicaci|regla|(?:ó|Ó)rden)",
        rf"(?i)\b(?:muestra|mu(?:é|É)strame|revela|dime|repite|imprime)[a-z]*{_GAP}\b(?:tu|tus|su|el) (?:prompt|instrucciones|mensaje) (?:del? sistema|inicial|ocult)",
    ),
    "Portuguese": (
        rf"(?i)\b(?:ignor|esque(?:ç|c|Ç)|desconsider|desrespeit)[a-zãç]*{_GAP}\b(?:instru(?:ç|Ç)(?:õ|ã|Õ|Ã)|ordens|regras|diretrizes|comandos)[a-z]*{_GAP}(?:anterior|pr(?:é|É)vi|acima|inicia)",
        rf"(?i)\b(?:mostre|revele|repita|diga|imprima)[a-z-]*{_GAP}\b(?:seu|suas|o) (?:prompt|instru(?:ç|Ç)(?:õ|Õ)es|mensagem) (?:d[eo] sistema|inicia|ocult)",
    ),
    "Italian": (
        rf"(?i)\b(?:ignor|dimentic|trascur|scord)[a-z]*{_GAP}\b(?:istruzion|indicazion|regol|ordin|direttiv)[a-z]*{_GAP}(?:precedent|anterior|sopra|inizial)",
        rf"(?i)\b(?:mostra|rivela|ripeti|dimmi|stampa)[a-z]*{_GAP}\b(?:tuo|tue|il) (?:prompt|istruzioni|messaggio) (?:di sistema|inizial|nascost)",
    ),
    "Dutch": (
        rf"(?i)\b(?:negeer|vergeet|sla)\b{_GAP}\b(?:vorige|eerdere|bovenstaande|voorgaande|al je|alle)\b{_GAP}(?:instructie|opdracht|regel|richtlijn|prompt|aanwijzing)",
        rf"(?i)\b(?:toon|laat|geef|onthul|herhaal)\b{_GAP}\b(?:je|jouw|de) (?:systeemprompt|systeeminstructie|systeem prompt|oorspronkelijke instructies)",
    ),
    "Swedish, Danish, Norwegian": (
        rf"(?i)\b(?:ignorer|gl(?:ö|e|Ö)m|bortse|se bort)[a-z]*{_GAP}\b(?:tidigare|f(?:ö|Ö)reg(?:å|Å)ende|tidligere|forrige|foreg(?:å|Å)ende|ovanst(?:å|Å)ende)\b{_GAP}(?:instruktion|instruks|regler|order|anvisning)",
    ),
    "Polish": (
        rf"(?i)\b(?:zignoruj|ignoruj|zapomnij|pomi(?:ń|Ń)|zlekcewa(?:ż|Ż))[a-z]*{_GAP}\b(?:poprzedni|wcze(?:ś|Ś)niejsz|powy(?:ż|Ż)sz|dotychczasow)[a-z]*{_GAP}(?:instrukcj|polece|zasad|wytyczn)",
        rf"(?i)\b(?:poka(?:ż|Ż)|ujawnij|podaj|powt(?:ó|Ó)rz){_GAP}\b(?:sw(?:ó|Ó)j|tw(?:ó|Ó)j) (?:prompt systemowy|systemowy prompt)",
    ),
    "Turkish": (
        r"(?i)(?:(?:ö|Ö)nceki|yukar(?:ı|I)daki)[^.!?\n]{0,16}(?:talimat|komut|kural|y(?:ö|Ö)nerge)[^.!?\n]{0,40}(?:yok say|unut|g(?:ö|Ö)rmezden|dikkate alma|g(?:ö|Ö)z ard)",
    ),
    "Indonesian, Malay": (
        rf"(?i)\b(?:abaikan|lupakan){_GAP}\b(?:instruksi|perintah|aturan|arahan)\b{_GAP}(?:sebelum|di atas|terdahulu)",
    ),
    "Vietnamese": (
        r"(?:[Bb]ỏ qua|[Qq]uên|[Ll]ờ đi)[^.!?\n]{0,40}(?:hướng dẫn|chỉ dẫn|lệnh|chỉ thị|quy tắc)[^.!?\n]{0,30}(?:trước|trên)",
    ),
    "Russian": (
        r"(?:(?:И|и)гнорируй|(?:З|з)абудь|(?:П|п)роигнорируй|(?:Н|н)е обращай внимания на|(?:О|о)тмени)[^.!?\n]{0,80}?(?:предыдущ|прежн|прошл|вышеуказанн|свои|все)[^.!?\n]{0,60}?(?:инструкци|указани|правил|команд|промпт|приказ)",
        r"(?:(?:П|п)окажи|(?:Р|р)аскрой|(?:В|в)ыведи|(?:П|п)овтори|(?:С|с)кажи)[^.!?\n]{0,60}?(?:системн(?:ый|ые|ое) (?:промпт|запрос|инструкци|сообщени)|скрыт(?:ый|ые) (?:промпт|инструкци))",
    ),
    "Ukrainian": (
        r"(?:(?:І|і)гноруй|(?:З|з)абудь|(?:П|п)роігноруй)[^.!?\n]{0,80}?(?:попередн|усі|всі)[^.!?\n]{0,60}?(?:інструкці|вказівк|правил|команд)",
    ),
    "Chinese": (
        r"(?:忽略|忽视|無視|无视|忘记|忘掉|忘記|不要理会|不要遵守|忽視)[^.!?\n]{0,60}?(?:之前|以前|先前|上面|以上|上述|前面|所有|一切|全部)[^.!?\n]{0,48}?(?:指令|指示|提示|规则|規則|命令|要求|说明|說明|设定|內容|内容)",
        r"(?:显示|顯示|告诉我|告訴我|输出|輸出|打印|重复|重複|泄露|透露)[^.!?\n]{0,48}?(?:系统提示|系統提示|系统指令|系統指令|初始指令|初始提示|隐藏指令|隱藏指令)",
    ),
    "Japanese": (
        r"(?:これまで|以前|前|上記|上|すべて|全て|今まで|先ほど)[^.!?\n]{0,24}?の?(?:指示|命令|プロンプト|ルール|規則|指令|制約)[^.!?\n]{0,24}?(?:無視|忘れ|破棄|従わな)",
        r"(?:システムプロンプト|システム指示|初期プロンプト|隠された指示)[^.!?\n]{0,24}?(?:表示|教え|見せ|出力|開示|繰り返)",
    ),
    "Korean": (
        r"(?:이전|앞선|위의|위|기존|모든|지금까지)[^.!?\n]{0,40}?(?:지시|명령|지침|프롬프트|규칙|설정)[^.!?\n]{0,32}?(?:무시|잊어|따르지)",
        r"(?:시스템 ?프롬프트|시스템 ?지시|초기 ?프롬프트)[^.!?\n]{0,32}?(?:보여|알려|출력|공개|말해)",
    ),
    "Arabic": (
        r"(?:تجاهل|انس|انسى|تجاهلي|لا تتبع)[^.!?\n]{0,60}?(?:التعليمات|الأوامر|القواعد|التوجيهات|الإرشادات)[^.!?\n]{0,40}?(?:السابقة|أعلاه|الماضية|السابق)",
    ),
    "Hindi": (
        r"(?:पिछले|पहले के|उपरोक्त|ऊपर के|सभी)[^.!?\n]{0,80}?(?:निर्देश|आदेश|नियम)[^.!?\n]{0,80}?(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल)",
    ),
    "Persian": (
        r"(?:دستورات|دستورالعمل|دستورهای|قوانین)[^.!?\n]{0,20}?(?:قبلی|بالا|پیشین)[^.!?\n]{0,30}?(?:نادیده|فراموش)",
    ),
    "Hebrew": (
        r"(?:התעלם|התעלמי|שכח|תתעלם)[^.!?\n]{0,40}?(?:ההוראות|ההנחיות|הכללים|הפקודות)[^.!?\n]{0,24}?(?:הקודמות|הקודמים|לעיל)",
    ),
    "Thai": (r"(?:เพิกเฉย|ละเว้น|ลืม|ไม่ต้องสนใจ)[^\n]{0,120}?(?:คำสั่ง|คำแนะนำ|กฎ)[^\n]{0,120}?(?:ก่อนหน้า|ข้างต้น|ที่ผ่านมา)",),
}
