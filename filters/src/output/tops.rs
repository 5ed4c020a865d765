//! Top-level domains of which renderers make links where no scheme is written: those of countries, and others that are in wide use.

pub(super) const COUNTRIES: &str = "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw \
by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf \
gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz \
la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz \
om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td \
tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

pub(super) const OTHERS: &str = "com net org info biz name pro mobi edu gov mil int arpa asia jobs museum travel coop aero cat tel post xxx \
app dev page web website site online space host press blog news world live life email cloud link click download zip mov foo new day \
art xyz top vip fun icu club shop store buy sale deals win bid loan men work one run red pink blue black ink wiki chat social team \
group agency network digital media studio design academy school university education center company business enterprises ventures \
partners services service systems solutions support help guide tips tools tech technology software computer codes engineering \
hosting domains domain server security finance financial money cash bank fund capital credit loans tax insurance legal law health \
care clinic doctor fit yoga food restaurant recipes pizza bar coffee beer wine hotel holiday tours flights cruises taxi car cars auto \
game games play casino bet poker football run golf bike photos photo pics pictures gallery camera video movie film music band dance \
show theater tickets events party wedding gift gifts toys baby dog pet fish garden house homes estate land properties rent city \
town london berlin paris nyc tokyo amsterdam moscow global international earth africa lat eus gal quebec scot wales ninja guru expert \
science review reviews report trade trading market markets exchange stream faith racing accountant accountants cricket date webcam \
party country kim rocks sexy sucks best cool gold plus zone today tube video direct directory management marketing consulting \
industries institute foundation charity gives ngo ong international community forum observer foundation church bible google goog \
youtube gle amazon aws azure microsoft office skype bing apple";
