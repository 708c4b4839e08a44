// SPDX-License-Identifier: Apache-2.0
// The style sheet of a plan's page. Its hash stands in the page's content security policy. Only for
// reconciler/core/render_html.cc.
#pragma once

#include <string_view>

namespace knock {

inline constexpr std::string_view kPlanStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--soft:#f4f5f7;--line:#d8dbe0;--text:#1b1f24;--dim:#59636e;
--add:#116329;--add-bg:#dafbe1;--del:#a40e26;--del-bg:#ffe5e3;--warn:#7d4e00;--warn-bg:#fff5d6;
--change:#0a4fa8;--change-bg:#e3efff}
@media (prefers-color-scheme:dark){:root{--bg:#0f1318;--soft:#191f27;--line:#323a45;--text:#e8ebef;
--dim:#9aa5b1;--add:#6fdd8b;--add-bg:#10341c;--del:#ff9b94;--del-bg:#451a1a;--warn:#f0c766;
--warn-bg:#3b2d08;--change:#8fbfff;--change-bg:#13294a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem 1rem 4rem;background:var(--bg);color:var(--text);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.25rem 0 .5rem}
p{margin:.25rem 0}
code,.mono,.place{font-family:ui-monospace,monospace;font-size:.9em}
.dim{color:var(--dim)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;
margin:1.25rem 0 0;padding:0;list-style:none}
.tiles li{background:var(--soft);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .8rem}
.tiles b{display:block;font-size:1.5rem;line-height:1.2}
.tiles .parts b{font-size:1.3rem;line-height:1.4;white-space:nowrap}
.tiles .parts.long b{font-size:1rem;line-height:1.8;white-space:normal}
.tiles span{color:var(--dim);font-size:.85rem}
.gain b,.add .sign,.is-new .sign{color:var(--add)}
.warned b{color:var(--warn)}
.lose b,.remove .sign,.is-gone .sign{color:var(--del)}
.box{border:1px solid var(--line);border-left:.35rem solid var(--dim);border-radius:.4rem;
background:var(--soft);padding:.6rem .9rem;margin:1rem 0}
.box.warn{border-left-color:var(--warn);background:var(--warn-bg)}
.box ul{margin:.25rem 0;padding-left:1.2rem}
svg{display:block;width:100%;max-width:30rem;height:auto;margin:.5rem 0}
svg text{fill:var(--text);font:600 13px system-ui,sans-serif}
svg .count{fill:var(--dim);font-weight:400}
svg .gain{fill:var(--add)}
svg .lose{fill:var(--del)}
svg .unknown{fill:none;stroke:var(--dim);stroke-dasharray:3 3}
svg .axis{stroke:var(--line)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:600;font-size:.82rem}
td.nowrap,.mono{white-space:nowrap}
td{min-width:5rem}
td.name,td.where{min-width:9.5rem}
.sign{font-family:ui-monospace,monospace;font-weight:700;width:1.5rem}
td.sign,td:empty{min-width:0}
tr.add{background:var(--add-bg)}
tr.remove{background:var(--del-bg)}
tr.later,tr.earlier{background:var(--change-bg)}
tr.ports{background:var(--warn-bg)}
tr.report{color:var(--dim)}
tr.heading td{font-weight:600;background:var(--warn-bg)}
details{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;background:var(--bg)}
summary{cursor:pointer;padding:.6rem .9rem;background:var(--soft);border-radius:.5rem}
summary b{margin-right:.5rem}
details>div,details>p,details>svg{padding:.3rem .9rem}
details.names{border:0;margin:0;background:none}
details.names>summary{display:inline-block;padding:.1rem .5rem;color:var(--change)}
.was,.now{display:block;padding:.1rem .5rem;border-radius:.25rem}
.was,.now{max-height:14rem;overflow:auto}
.was{background:var(--del-bg)}
.now{background:var(--add-bg)}
.unknown{color:var(--warn);font-weight:600}
footer{margin-top:2.5rem;padding-top:.8rem;border-top:1px solid var(--line);color:var(--dim);
font-size:.9rem}
@media (max-width:40rem){
body{padding:1rem .75rem 3rem}
thead{position:absolute;left:-9999px}
table,tbody,tr,td{display:block;width:auto}
tr{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:.3rem .2rem}
td{border:0;padding:.12rem .6rem}
td:empty{display:none}
td,td.name,td.where{min-width:0}
td[data-label]::before{content:attr(data-label);color:var(--dim);font-size:.78rem;margin-right:.5rem}
td.nowrap,.mono{white-space:normal}
td.sign{float:left;width:auto}
}
@media print{
:root{color-scheme:light}
body{max-width:none;padding:0;font-size:11pt}
.was,.now{max-height:none}
details{break-inside:auto;border:0}
details::details-content{content-visibility:visible;height:auto}
tr,.tiles li,.box{break-inside:avoid}
thead{display:table-header-group}
summary{list-style:none;padding-left:0}
}
)css";

}  // namespace knock
