# debian-gems.rb FOLDER NAME…: packs gems that Debian has installed, and all that they need, as gems
# into FOLDER/gems, with the index that Bundler reads. What Debian has compiled is packed compiled.
require "rubygems/package"
require "rubygems/indexer"
require "fileutils"
require "tmpdir"

folder, *names = ARGV
FileUtils.mkdir_p(File.join(folder, "gems"))
seen = {}
pack = lambda do |name|
  return if seen[name]

  seen[name] = true
  spec = Gem::Specification.find_by_name(name)
  return if spec.default_gem? && !spec.full_gem_path.start_with?("/usr/share")

  spec.runtime_dependencies.each { |dependency| pack.call(dependency.name) }
  Dir.mktmpdir do |work|
    FileUtils.cp_r("#{spec.full_gem_path}/.", work) if File.directory?(spec.full_gem_path)
    FileUtils.cp_r("#{spec.extension_dir}/.", FileUtils.mkdir_p(File.join(work, "lib")).first) if File.directory?(spec.extension_dir)
    # Older packages put their files where all of Ruby's are: Debian's own list tells which.
    package = "ruby-#{name.tr("_", "-")}"
    listed = [package, name].flat_map { |one| `dpkg-query -L #{one} 2>/dev/null`.split("\n") }
    listed.each do |path|
      match = %r{\A/usr/lib/(?:[^/]+-linux-gnu/)?ruby/vendor_ruby/(?:\d+\.\d+\.\d+/)?(.+)\z}.match(path)
      next unless match && File.file?(path)

      target = File.join(work, "lib", match[1])
      FileUtils.mkdir_p(File.dirname(target))
      FileUtils.cp(path, target)
    end
    spec.executables.each do |program|
      target = File.join(work, spec.bindir, program)
      next if File.file?(target) || !File.file?("/usr/bin/#{program}")

      FileUtils.mkdir_p(File.dirname(target))
      FileUtils.cp("/usr/bin/#{program}", target)
    end
    Dir.chdir(work) do
      copy = Gem::Specification.new(spec.name, spec.version) do |one|
        one.summary = one.description = one.name
        one.authors = ["Debian"]
        one.license = "MIT"
        one.homepage = "http://localhost"
        one.files = Dir.glob("**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }
        one.require_paths = (["lib"] + spec.raw_require_paths).uniq.select { |path| File.directory?(path) }
        one.bindir = spec.bindir
        one.executables = spec.executables.select { |file| File.file?(File.join(spec.bindir, file)) }
        spec.runtime_dependencies.each { |dependency| one.add_runtime_dependency(dependency.name, *dependency.requirement.as_list) }
      end
      file = Gem::Package.build(copy, true)
      FileUtils.mv(file, File.join(folder, "gems"))
    end
  end
end
names.each { |name| pack.call(name) }
Gem::Indexer.new(folder).generate_index
