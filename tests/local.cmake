# SPDX-License-Identifier: AGPL-3.0-or-later
# What is not a plain unit test: lint, browsers, networks, and the other presets, each of which
# is built and run as tests of the dev build so that one summary covers all.
option(PALABRE_TESTS_UNITS_ONLY "sanitizer builds: units, simulations, fuzz inputs" OFF)

set(here ${CMAKE_CURRENT_SOURCE_DIR})

add_executable(test_path ${here}/net/test_path.c ${here}/net/path.c)
target_link_libraries(test_path PRIVATE PkgConfig::CMOCKA m)
target_include_directories(test_path PRIVATE ${here}/net)
add_test(NAME unit.test_path COMMAND test_path)
set_tests_properties(unit.test_path PROPERTIES LABELS "unit;quick" TIMEOUT 30)

if(PALABRE_TESTS_UNITS_ONLY)
	return()
endif()

add_executable(pathemu ${here}/net/pathemu.c ${here}/net/path.c)
target_link_libraries(pathemu PRIVATE m)

# See igd_stub.c: only on the library path of whip-client, never of palabred.
add_library(igd_stub SHARED ${here}/net/igd_stub.c)
set_target_properties(igd_stub PROPERTIES OUTPUT_NAME gupnp-igd-1.0 SUFFIX .so.4 NO_SONAME ON
	LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/whip-client)
target_link_options(igd_stub PRIVATE -Wl,-soname,libgupnp-igd-1.0.so.4)

# ---- a real server on loopback: bad input beside a call

file(GLOB hostile_sources CONFIGURE_DEPENDS ${here}/net/hostile/*.c)
add_executable(test_hostile ${hostile_sources})
target_link_libraries(test_hostile PRIVATE bench_common PkgConfig::ZLIB)
add_executable(audience ${here}/net/audience.c)
target_link_libraries(audience PRIVATE bench_common)
if(TARGET palabred)
	add_test(NAME net.hostile COMMAND test_hostile)
	set_tests_properties(net.hostile PROPERTIES LABELS "net" TIMEOUT 120
		RUN_SERIAL ON ENVIRONMENT "PALABRED=$<TARGET_FILE:palabred>")
endif()

# ---- lint

function(palabre_lint name)
	add_test(NAME lint.${name} COMMAND ${ARGN})
	set_tests_properties(lint.${name} PROPERTIES LABELS "lint;quick" TIMEOUT 120)
endfunction()

palabre_lint(deps ${here}/lint/check-deps ${CMAKE_SOURCE_DIR})
palabre_lint(deps_self ${here}/lint/check-deps --self-test)
palabre_lint(headers ${here}/lint/check-headers ${CMAKE_SOURCE_DIR})
palabre_lint(format ${here}/lint/check-format ${CMAKE_SOURCE_DIR})
palabre_lint(tree ${here}/lint/check-tree ${CMAKE_SOURCE_DIR})

# ---- the Debian package: built in a clean tree, lintian

add_test(NAME packaging.build COMMAND ${CMAKE_SOURCE_DIR}/packaging/build)
set_tests_properties(packaging.build PROPERTIES LABELS "packaging" TIMEOUT 600 PROCESSORS 2
	FIXTURES_SETUP package)

find_program(NODE node)
if(NOT NODE)
	message(STATUS "no node: neither page nor browsers are tested")
	return()
endif()

set(modules ${here}/browser/node_modules)
if(EXISTS ${here}/lint/tsconfig.json)
	palabre_lint(types ${modules}/.bin/tsc -p ${here}/lint/tsconfig.json)
endif()
foreach(check i18n page)
	if(EXISTS ${here}/lint/check_${check}.mjs)
		palabre_lint(${check} ${NODE} ${here}/lint/check_${check}.mjs)
		palabre_lint(${check}_self ${NODE} ${here}/lint/check_${check}.mjs --self-test)
	endif()
endforeach()
foreach(unit page speech gate video)
	add_test(NAME unit.${unit} COMMAND ${NODE} ${here}/browser/${unit}_unit.mjs)
	set_tests_properties(unit.${unit} PROPERTIES LABELS "unit;quick" TIMEOUT 180)
endforeach()

# ---- palabrectl and a real server

add_executable(stall ${here}/net/stall.c)
if(TARGET palabred AND TARGET palabrectl)
	add_test(NAME net.admin COMMAND ${NODE} ${here}/net/admin.mjs)
	set_tests_properties(net.admin PROPERTIES LABELS "net" TIMEOUT 120 RUN_SERIAL ON ENVIRONMENT
		"PALABRED=$<TARGET_FILE:palabred>;PALABRECTL=$<TARGET_FILE:palabrectl>;AUDIENCE=$<TARGET_FILE:audience>;STALL=$<TARGET_FILE:stall>")
	add_test(NAME net.cost COMMAND ${NODE} ${here}/net/cost.mjs)
	set_tests_properties(net.cost PROPERTIES LABELS "net" TIMEOUT 120 RUN_SERIAL ON ENVIRONMENT
		"PALABRED=$<TARGET_FILE:palabred>")
endif()

if(TARGET palabred AND TARGET palabrectl)
	add_test(NAME net.acme COMMAND ${NODE} ${here}/net/acme.mjs)
	set_tests_properties(net.acme PROPERTIES LABELS "net" TIMEOUT 120 RUN_SERIAL ON ENVIRONMENT
		"PALABRED=$<TARGET_FILE:palabred>;PALABRECTL=$<TARGET_FILE:palabrectl>;AUDIENCE=$<TARGET_FILE:audience>")
endif()

# ---- browsers: alone on the machine, since they fill it and measure time

function(palabre_scenario test scenario server labels timeout)
	add_test(NAME ${test} COMMAND ${NODE} ${here}/browser/${scenario}.mjs)
	set_tests_properties(${test} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
		RUN_SERIAL ON ENVIRONMENT
		"PALABRED=${server};PATHEMU=$<TARGET_FILE:pathemu>;AUDIENCE=$<TARGET_FILE:audience>;IGD_STUB=${CMAKE_BINARY_DIR}/whip-client")
endfunction()
function(palabre_browser name labels timeout)
	palabre_scenario(browser.${name} ${name} ${CMAKE_BINARY_DIR}/palabred "${labels}" ${timeout})
	set(scenarios ${scenarios} ${name} PARENT_SCOPE)
endfunction()

palabre_browser(harness "browser" 240)
set(scenarios) # from here on: with a server
if(TARGET palabred)
	add_test(NAME lint.page_weight COMMAND ${NODE} ${here}/lint/check-page-weight.mjs)
	set_tests_properties(lint.page_weight PROPERTIES LABELS "lint;browser" TIMEOUT 60
		RUN_SERIAL ON ENVIRONMENT "PALABRED=${CMAKE_BINARY_DIR}/palabred")
	palabre_browser(two "browser" 180)
	palabre_browser(four "browser" 180)
	palabre_browser(twelve "browser" 400)
	palabre_browser(resume "browser" 240)
	palabre_browser(firefox "browser" 180)
	palabre_browser(page "browser" 180)
	palabre_browser(ama "browser" 240)
	palabre_browser(hostile_guest "browser" 180)
	palabre_browser(lobby "browser" 240)
	palabre_browser(voice "browser" 200)
	palabre_browser(whip "browser" 180)
	palabre_browser(lipsync "browser" 180)
	palabre_browser(speech "browser" 120)
	palabre_browser(gate "nightly" 260) # two minutes; unit.gate is in every run
	palabre_browser(cap "browser" 180)
	palabre_browser(switches "browser;net" 300)
	palabre_browser(layers "browser;net" 200)
	palabre_browser(netchange "browser;net" 240)
	palabre_browser(tcp "browser;net" 180)
	palabre_browser(https "browser;net" 180)
	palabre_browser(thin "browser;net" 400)
	# "browser;net" as soon as its two rows are reached (issue 4); not in `scenarios`: nightly.video has it all.
	palabre_scenario(browser.thinvideo thinvideo ${CMAKE_BINARY_DIR}/palabred "nightly" 600)
	palabre_browser(uplink "browser;net" 160)
endif()
# Installed on a booted machine; a call, an upgrade in mid-call, a purge. `tests/run packaging`, or every night.
add_test(NAME packaging.installed COMMAND ${NODE} ${here}/packaging/installed.mjs)
set_tests_properties(packaging.installed PROPERTIES LABELS "packaging;nightly" TIMEOUT 300 RUN_SERIAL ON
	FIXTURES_REQUIRED package)
if(EXISTS ${here}/browser/answer_check.mjs AND TARGET test_nego_answer)
	add_test(NAME browser.answers COMMAND ${NODE} ${here}/browser/answer_check.mjs
		--tool $<TARGET_FILE:test_nego_answer>)
	set_tests_properties(browser.answers PROPERTIES LABELS "browser" TIMEOUT 180
		RUN_SERIAL ON ENVIRONMENT "PALABRE_PW=${here}/browser")
endif()

# ---- the other presets

# palabre_preset(PRESET LABELS what to run): PRESET.build and PRESET.run
function(palabre_preset preset what timeout)
	add_test(NAME ${preset}.build COMMAND ${here}/sub-build ${preset} build)
	add_test(NAME ${preset}.run COMMAND ${here}/sub-build ${preset} run ${what})
	set_tests_properties(${preset}.build PROPERTIES FIXTURES_SETUP ${preset} TIMEOUT 900)
	set_tests_properties(${preset}.run PROPERTIES FIXTURES_REQUIRED ${preset} TIMEOUT ${timeout})
	set_tests_properties(${preset}.build ${preset}.run PROPERTIES LABELS ${preset} PROCESSORS 2)
endfunction()

palabre_preset(asan "^(unit|sim|fuzz)$" 600)
palabre_preset(tsan "^(unit|sim)$" 600)
palabre_preset(fuzz "^fuzz$" 900)
if(TARGET palabred)
	# The whole call once more, with the server under the sanitizers. They need memory of
	# their own, and the server ends at the first report, which fails the test.
	foreach(preset asan tsan)
		add_test(NAME ${preset}.hostile COMMAND test_hostile)
		set_tests_properties(${preset}.hostile PROPERTIES LABELS ${preset} TIMEOUT 240
			RUN_SERIAL ON FIXTURES_REQUIRED ${preset}
			ENVIRONMENT "PALABRED=${CMAKE_SOURCE_DIR}/build/${preset}/palabred;HOSTILE_RSS_KIB=200000;ASAN_OPTIONS=quarantine_size_mb=32;TSAN_OPTIONS=halt_on_error=1")
	endforeach()
	foreach(scenario ${scenarios})
		set(label "nightly")
		if(scenario MATCHES "^(four|resume)$")
			set(label "asan")
		endif()
		palabre_scenario(asan.${scenario} ${scenario} ${CMAKE_SOURCE_DIR}/build/asan/palabred
			${label} 600)
		set_tests_properties(asan.${scenario} PROPERTIES FIXTURES_REQUIRED asan)
	endforeach()
endif()

# ---- what takes longer (tests/run nightly): figures, chance and the fuzzers, at length

function(palabre_nightly name labels timeout)
	add_test(NAME nightly.${name} COMMAND ${ARGN})
	set_tests_properties(nightly.${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
		RUN_SERIAL ON ENVIRONMENT "PALABRED=${CMAKE_BINARY_DIR}/palabred;PATHEMU=$<TARGET_FILE:pathemu>;AUDIENCE=$<TARGET_FILE:audience>")
endfunction()

# The table of links (docs/measurements.md), row by row: half an hour.
palabre_nightly(thin "nightly" 2400 ${NODE} ${here}/browser/thin.mjs --all)
# The same with faces: half an hour, too.
palabre_nightly(video "nightly" 4800 ${NODE} ${here}/browser/thinvideo.mjs --all)
palabre_nightly(fuzz "nightly" 3600 ${here}/fuzz/long 60)
foreach(bench forward idle)
	palabre_nightly(${bench} "nightly;bench" 600 ${here}/bench/run ${bench})
endforeach()
foreach(scenario switches netchange lipsync resume twelve)
	palabre_nightly(${scenario} "nightly" 1500 ${here}/browser/repeat 3 ${scenario})
endforeach()
